"""Loads, trains and saves the LoR2C adapters of lor2c with PEFT.

LoR2C (arXiv:2503.00572) adds a low-rank residual connection around every layer of a frozen transformer. Importing this
package registers it with PEFT under the type ``LOR2C``, so that ``PeftModel.from_pretrained`` loads the adapter
directories that ``lor2c train`` writes, and ``save_pretrained`` writes directories that lor2c reads::

    import lor2c_peft
    base = AutoModelForSequenceClassification.from_pretrained(BASE, **lor2c_peft.labels(DIR))
    model = PeftModel.from_pretrained(base, DIR)
"""

from .config import LoR2CConfig, labels
from .model import LoR2CModel
from .register import register

__version__ = "0.1.0"
__all__ = ["LoR2CConfig", "LoR2CModel", "__version__", "labels"]

register()
