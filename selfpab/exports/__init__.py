"""What `predict` wrote, in tables of the shape that other programs give: GGIR part 5, OxWearables."""

from selfpab.exports.forms import ExportConfig, export_tables

__all__ = ["ExportConfig", "export_tables"]
