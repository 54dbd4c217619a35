"""The only place that knows aiohttp and how api.php spelt things."""
