"""The chat in the browser, with the memory beside it: `python -m ui`."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # gradio looks when it is imported: nothing leaves this machine
