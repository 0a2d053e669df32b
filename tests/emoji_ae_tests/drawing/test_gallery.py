"""The gallery as a picture, of a model whose latents are its images."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch import nn

from emoji_ae.dataset import load_dataset
from emoji_ae.drawing.composition import to_picture
from emoji_ae.drawing.gallery import draw_gallery, drawable
from emoji_ae.errors import ExpressionError
from emoji_ae.latent import LatentSpace, encode
from emoji_ae.models import Autoencoder
from emoji_ae.recipes import Item, gallery


@pytest.fixture(scope="module")
def space() -> LatentSpace:
    """The embedded images under an autoencoder that changes nothing but what no pixel can be."""
    dataset = load_dataset(None)
    model = Autoencoder(encoder=nn.Identity(), decoder=nn.Hardtanh(0, 1))
    return encode(model, dataset.images, dataset.texts)


def shows(picture: Image.Image, left: int, top: int, image: torch.Tensor) -> bool:
    """Say whether an image is in the gallery at this place."""
    cell = picture.crop((left, top, left + 88, top + 88))
    return cell == to_picture(image).resize((88, 88), Image.Resampling.BICUBIC)


def test_cells_show_faces_and_sums(space: LatentSpace) -> None:
    """Both faces come first, then each recipe's image; where there is none, nothing."""
    halves = {"notebook": "sleepy face", "halves": "upper(nerd face) + lower(sleepy face)"}
    one = Item(section="one", name="n", eyes="nerd face", mouth="Sleepy face", recipes={**halves})
    two = replace(one, section="two", eyes="cat face", recipes={"mended": "cow face"})
    picture = draw_gallery(space, [one, two])
    eyes, mouth = (space.images[space.row(text)] for text in ("nerd face", "sleepy face"))
    both = torch.cat([eyes[:, :32], mouth[:, 32:]], dim=1)
    for column, image in enumerate((eyes, mouth, mouth, both, torch.full_like(eyes, 255))):
        assert shows(picture, 14 + column * 94, 88, image)


def test_a_section_stands_in_two_blocks(space: LatentSpace) -> None:
    """Items run down the left block, then the right one; the picture fits a page's width."""
    picture = draw_gallery(space, gallery())
    assert picture.size == (1172, 3 * 14 + 3 * (34 + 20) + (1 + 8 + 4) * 114 + 4 * 20)
    names = [item for item in gallery() if item.section == "Featured mouths with sunglasses"]
    ninth = space.images[space.row(names[8].mouth)]
    left, top = 14 + 558 + 28 + 94, 14 + 34 + 20 + 114 + 34 + 20 + 20
    assert shows(picture, left, top, ninth)


def test_what_can_be_drawn(space: LatentSpace) -> None:
    """The embedded images have all of it; without an emoji or an attribute, items are left out."""
    items = gallery()
    assert drawable(space, items) == (items, ())
    rows = [i for i, text in enumerate(space.texts) if text not in ("weary face", "hushed face")]
    texts = tuple(space.texts[i] for i in rows)
    fewer = replace(space, images=space.images[rows], texts=texts, latents=space.latents[rows])
    there, left_out = drawable(fewer, items)
    assert [item.name for item in left_out] == ["weary face", "dizzy face"]
    assert len(there) == len(items) - 2
    with pytest.raises(ExpressionError, match="There is no emoji 'weary face'"):
        draw_gallery(fewer, items)
