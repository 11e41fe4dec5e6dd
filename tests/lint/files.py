"""files - the project's files for the checks that are written in Python."""
import os
import subprocess


def project_files(*patterns):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z", "--", *patterns],
                         check=True, capture_output=True, text=True).stdout
    return sorted(name for name in out.split("\0") if name and os.path.isfile(name))
