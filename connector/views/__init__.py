"""The embedded pages, a module for each. Every row is found through request.shop."""
