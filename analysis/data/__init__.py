"""What an image set is: a name to images in memory, their augmentation and normalisation.

`load_images` gives uint8 tensors, memory-mapped after the first time; `crop_flip` and `Normalizer`
work on whole batches on the device. Knows nothing of nets or training. Pick batches with
`images.train.index_select(0, index)`: it copies whole images, 7 times as fast as `train[index]`.
"""

from analysis.data.batches import (
    augment,
    crop_flip,
    draw_augmentation,
    epoch_generator,
    epoch_order,
)
from analysis.data.folder import left_out
from analysis.data.images import Images, balanced_choice
from analysis.data.normalizer import Normalizer
from analysis.data.sources import load_images
from analysis.specs.datasets import cache_folder

__all__ = [
    "Images",
    "Normalizer",
    "augment",
    "balanced_choice",
    "cache_folder",
    "crop_flip",
    "draw_augmentation",
    "epoch_generator",
    "epoch_order",
    "left_out",
    "load_images",
]
