"""The HTML page, one file that works offline, and figures for it and for papers."""

from attentad.report.content import Report, VideoPage, plain_facts
from attentad.report.drawing import FIGURE_SUFFIXES, figure_svg, save_figure
from attentad.report.figures import (
    average_recall_figure,
    confusion_figure,
    diagnosis_figures,
    false_negative_figure,
    false_positive_figure,
    precision_recall_figure,
    sensitivity_figure,
)
from attentad.report.page import write_page
from attentad.report.tables import TABLE_SUFFIXES, Table, transposed, write_table

__all__ = [
    "FIGURE_SUFFIXES",
    "TABLE_SUFFIXES",
    "Report",
    "Table",
    "VideoPage",
    "average_recall_figure",
    "confusion_figure",
    "diagnosis_figures",
    "false_negative_figure",
    "false_positive_figure",
    "figure_svg",
    "plain_facts",
    "precision_recall_figure",
    "save_figure",
    "sensitivity_figure",
    "transposed",
    "write_page",
    "write_table",
]
