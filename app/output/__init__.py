"""Writers of deliveries: the screen, or a file of the kind that its ending names."""

from app.output.writers import ENDINGS, Writer, check_ending, open_writer

__all__ = ["ENDINGS", "Writer", "check_ending", "open_writer"]
