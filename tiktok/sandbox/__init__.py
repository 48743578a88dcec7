"""TikTok Shop in memory, over real HTTP: a strict judge for tests, demos and measurements."""

from tiktok.sandbox.platform import TikTokSandbox

__all__ = ["TikTokSandbox"]
