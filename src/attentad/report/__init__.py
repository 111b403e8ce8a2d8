"""The HTML page: one file with video, timeline, curves, mAP and losses, which works offline."""

from attentad.report.content import Curve, Report, VideoPage
from attentad.report.page import render_page, write_page

__all__ = ["Curve", "Report", "VideoPage", "render_page", "write_page"]
