"""The image's own tests: `python3 -m unittest discover --start-directory tests --top-level-directory .` in /app."""
