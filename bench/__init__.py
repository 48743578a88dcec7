"""Figures about the connector, by the command: `make chaos`, `make bench`. No part of the product."""
