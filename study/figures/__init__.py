"""Charts of a study: each function turns one ``...Info`` of the analysis into a plotly figure.

What a chart says is decided in ``study.analysis``, where it stands in ``study.report``.
"""
