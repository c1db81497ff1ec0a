"""Everything that knows Bitrix24. Only `client` speaks HTTP; the rest turns values into commands and back."""
