"""How this process is put together: it may import anything, and nobody imports it."""
