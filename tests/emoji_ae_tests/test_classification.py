"""Classification of rare classes, against scikit-learn."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
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
LABELS = st.lists(CLASS, min_size=1, max_size=40) | st.lists(
    st.sampled_from([0, 3]), min_size=1, max_size=40
)
PAIRS = st.lists(st.tuples(CLASS, CLASS), min_size=1, max_size=40) | st.lists(
    st.tuples(CLASS, st.sampled_from([1, 2])), min_size=1, max_size=40
)
"""Predictions and labels; often some classes are absent."""


def tensors(pairs: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return predictions and labels, ``(n,)`` int64 each."""
    predicted, labels = torch.tensor(pairs).unbind(dim=1)
    return predicted, labels


@given(labels=LABELS)
def test_counts(labels: list[int]) -> None:
    """Each class has the number of its images, absent classes too."""
    counts = count_classes(torch.tensor(labels))
    assert counts.tolist() == [labels.count(label) for label in range(4)]
    assert counts.dtype == torch.int64


@given(labels=LABELS)
def test_class_weights_are_scikit_learns(labels: list[int]) -> None:
    """Present classes have scikit-learn's balanced weights, absent ones none."""
    present = np.unique(labels)
    expected = np.zeros(4)
    expected[present] = compute_class_weight("balanced", classes=present, y=labels)
    weights = class_weights(torch.tensor(labels))
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


@given(labels=LABELS)
def test_class_weights_give_all_classes_one_share(labels: list[int]) -> None:
    """The images of each present class weigh as much together, and all as much as without."""
    totals = class_weights(torch.tensor(labels)) * count_classes(torch.tensor(labels))
    n_classes = len(set(labels))
    for label, total in enumerate(totals.tolist()):
        share = len(labels) / n_classes if label in labels else 0.0
        assert total == pytest.approx(share, rel=1e-5)


@given(pairs=PAIRS)
def test_confusion_matrix_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """Rows are classes, columns are predictions, and every image is counted once."""
    predicted, labels = tensors(pairs)
    confusion = confusion_matrix(predicted, labels)
    expected = sklearn_confusion_matrix(labels.numpy(), predicted.numpy(), labels=range(4))
    assert confusion.dtype == torch.int64
    assert confusion.tolist() == expected.tolist()
    assert confusion.sum().item() == len(pairs)
    assert torch.equal(confusion.sum(dim=1), count_classes(labels))
    assert torch.equal(confusion.sum(dim=0), count_classes(predicted))


@given(pairs=PAIRS)
def test_balanced_accuracy_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """It is the mean recall of the classes that have images."""
    predicted, labels = tensors(pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are predicted but absent
        expected = balanced_accuracy_score(labels.numpy(), predicted.numpy())
    found = balanced_accuracy(confusion_matrix(predicted, labels))
    assert found.shape == ()
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_one_image_classified_wrong() -> None:
    """Row and column are not mixed up: a person taken for an animal."""
    confusion = confusion_matrix(torch.tensor([0]), torch.tensor([3]))
    assert confusion.nonzero().tolist() == [[3, 0]]
    assert balanced_accuracy(confusion).item() == 0


def test_rare_classes_count_as_much() -> None:
    """Always the frequent class: most images are right, but of two classes only one."""
    labels = torch.tensor([1] * 9 + [2])
    confusion = confusion_matrix(torch.ones(10, dtype=torch.int64), labels)
    assert balanced_accuracy(confusion).item() == 0.5
    expected = [0.0, 10 / 18, 5.0, 0.0]
    assert class_weights(labels).tolist() == pytest.approx(expected)
