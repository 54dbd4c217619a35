"""pbxapi: the legacy `api.php` of an Asterisk PBX as an asyncio daemon."""

__version__ = "0.1.0"
