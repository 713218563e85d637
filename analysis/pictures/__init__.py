"""An image file to pixels, once: orientation, alpha, 16 bit, size limits, crops, samples."""
