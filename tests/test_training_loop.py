"""The training loop of its page runs as a script, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.conftest import ROOT

PAGE = ROOT / "docs/guides/train-without-a-dataset.md"
SMALLER = {"photo.jpg": None, "img_size=128": "img_size=32", 'num_imgs="1M"': "num_imgs=48",
           "batch_size=128": "batch_size=16", "num_workers=8": "num_workers=2"}  # fmt: skip


def test_the_lines_that_train_from_one_photograph(picture, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    [code] = [block for block in blocks if "RenderedDataset(\n" in block]
    for text, smaller in SMALLER.items():
        assert code.count(text) == 1
        code = code.replace(text, smaller or str(picture))
    body = "".join(f"    {line}\n" for line in code.splitlines())
    script = tmp_path / "train.py"
    # As it asks of scripts where workers are not forked; the weights are looked at afterwards.
    script.write_text(
        f"def main():\n{body}    assert torch.isfinite(loss) and len(images) == 48\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    subprocess.run([sys.executable, str(script)], check=True, cwd=ROOT, timeout=300)
