"""mutt, with the same things to do as neomutt."""

import os
import runpy

os.environ["BOX_MUTT"] = "mutt"
runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "neomutt.py"), run_name="__main__")
