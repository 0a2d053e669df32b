"""Classification of rare classes, against scikit-learn."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from sklearn.utils.class_weight import compute_class_weight

from emoji_ae.classification import (
    balanced_accuracy,
    class_weights,
    confusion_matrix,
    count_classes,
)

CLASS = st.integers(0, 3)
FEW = st.sampled_from([0, 3])


@given(
    pairs=st.sampled_from([CLASS, FEW]).flatmap(  # often some classes are absent
        lambda labels: st.lists(st.tuples(CLASS, labels), min_size=1, max_size=40)
    )
)
@settings(max_examples=50)
def test_all_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """Counts, balanced weights, confusion and balanced accuracy are those of scikit-learn."""
    predicted, labels = torch.tensor(pairs).unbind(dim=1)
    counts = count_classes(labels)
    assert counts.tolist() == [labels.tolist().count(label) for label in range(4)]
    present = np.unique(labels)
    expected = np.zeros(4)  # absent classes have no weight
    expected[present] = compute_class_weight("balanced", classes=present, y=labels.numpy())
    weights = class_weights(labels)
    assert weights.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert (counts.dtype, weights.dtype) == (torch.int64, torch.float32)

    confusion = confusion_matrix(predicted, labels)
    table = sklearn_confusion_matrix(labels.numpy(), predicted.numpy(), labels=range(4))
    assert confusion.dtype == torch.int64
    assert confusion.tolist() == table.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted but absent
        recall = balanced_accuracy_score(labels.numpy(), predicted.numpy())
    found = balanced_accuracy(confusion)
    assert found.shape == ()
    assert found.item() == pytest.approx(recall, rel=1e-6)
