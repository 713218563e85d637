"""An image file to pixels, once: orientation, alpha, 16 bit, size limits, crops, samples.

Here stand the formats and the limits of uploads, so that who only names them need not load Pillow.
"""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
"""What is decoded, whatever a file's name says; of image folders PPM and TIFF, too. Pillow would
read others, some of them with programs of the system (EPS: Ghostscript)."""
MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
"""Of an image that must be decoded whole."""
MAX_FILES = 8
"""Files taken at once."""
