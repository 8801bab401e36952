"""What pretraining is for: tasks with few labels, and comparisons that show whether it helped."""

from minienc.finetuning.classifier import finetune
from minienc.finetuning.curve import FewLabelCurve, few_label_curve
from minienc.finetuning.multitask import MultiTask
from minienc.finetuning.pretrained_classifier import PretrainedClassifier
from minienc.finetuning.probes import knn_probe, linear_probe
from minienc.finetuning.texts import TextClassifier, text_label_curve

__all__ = [
    "FewLabelCurve",
    "MultiTask",
    "PretrainedClassifier",
    "TextClassifier",
    "few_label_curve",
    "finetune",
    "knn_probe",
    "linear_probe",
    "text_label_curve",
]
