"""The page in the browser: look at a study, run it, play with it.

Pages are rendered here, by Starlette and Jinja; curves are drawn in the browser by uPlot. There is
no build step, and no page asks any other host for anything.
"""
