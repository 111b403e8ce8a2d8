"""The HTML page, one file that works offline, and figures for it and for papers."""

from attentad.report.content import Report as Report
from attentad.report.content import VideoPage as VideoPage
from attentad.report.content import plain_facts as plain_facts
from attentad.report.drawing import FIGURE_SUFFIXES as FIGURE_SUFFIXES
from attentad.report.drawing import figure_svg as figure_svg
from attentad.report.drawing import save_figure as save_figure
from attentad.report.figures import average_recall_figure as average_recall_figure
from attentad.report.figures import confusion_figure as confusion_figure
from attentad.report.figures import diagnosis_figures as diagnosis_figures
from attentad.report.figures import false_negative_figure as false_negative_figure
from attentad.report.figures import false_positive_figure as false_positive_figure
from attentad.report.figures import precision_recall_figure as precision_recall_figure
from attentad.report.figures import sensitivity_figure as sensitivity_figure
from attentad.report.page import write_page as write_page
from attentad.report.tables import TABLE_SUFFIXES as TABLE_SUFFIXES
from attentad.report.tables import Table as Table
from attentad.report.tables import transposed as transposed
from attentad.report.tables import write_table as write_table
