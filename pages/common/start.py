"""What Streamlit runs for each look at a page: app.py. That file says why not app.py itself."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).resolve().parents[2] / "app.py"), run_name="__main__")
