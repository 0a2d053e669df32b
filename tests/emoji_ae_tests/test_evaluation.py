"""What a model makes of images."""

import torch

from emoji_ae.config import AutoencoderConfig
from emoji_ae.evaluation import reconstruct
from tests.emoji_ae_tests.reference import initial_model, pictures


def test_reconstructions_are_the_models() -> None:
    """They are the model's output in evaluation mode, with the statistics that it had."""
    model = initial_model(
        AutoencoderConfig(width=4, depth=2, latent_channels=4, normalization="batch"), seed=0
    )
    model.train()(pictures(8, seed=1) / 255)  # statistics that are not the initial ones
    before = [value.clone() for value in model.state_dict().values()]
    images = pictures(5, seed=0)
    found = reconstruct(model, images)
    assert not model.training
    assert all(map(torch.equal, model.state_dict().values(), before))
    assert found.dtype == torch.float32
    assert not found.requires_grad
    with torch.no_grad():
        assert torch.equal(found, model.eval()(images.float() / 255))
    assert len(set(found.flatten().tolist())) > 5
    one_by_one = torch.cat([reconstruct(model.train(), image[None]) for image in images])
    torch.testing.assert_close(found, one_by_one)
