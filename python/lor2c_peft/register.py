"""The entry of LoR2C in PEFT's tables of methods."""

from peft import PeftType
from peft.utils import register_peft_method

from .config import LoR2CConfig
from .model import LoR2CModel

NAME = "LOR2C"


def register() -> None:
    """Registers LoR2C with PEFT. A second call does nothing.

    PEFT registers only methods that its enumeration lists. A method of another package has to extend it.
    """
    if NAME in PeftType.__members__:
        return
    member = str.__new__(PeftType, NAME)
    member._name_, member._value_, member._sort_order_ = NAME, NAME, len(PeftType)
    # The attribute comes first, because an enumeration forbids to set one that its table of members has.
    setattr(PeftType, NAME, member)
    PeftType._member_names_.append(NAME)
    PeftType._member_map_[NAME] = member
    PeftType._value2member_map_[NAME] = member
    register_peft_method(name=NAME.lower(), config_cls=LoR2CConfig, model_cls=LoR2CModel)
