"""Keys that nothing reads: PaddleDetection takes them without a word."""

import difflib
import logging

from ..errors import UserError

__all__ = ["check_keys", "did_you_mean", "near_words"]

logger = logging.getLogger("paddle_vfl")


def check_keys(found, options, files):
    """Check that something reads every key.

    Args:
        found (Sequence[Setting]): the settings of a config.
        options (Iterable[tuple]): the paths of those that the command line gave.
        files (Sequence[ConfigFile]): those of the config.

    Raises:
        UserError: nothing reads an option, or a key of a file that is the misspelling of one, or that a class refuses.
    """
    anchors = {key for file in files for key in file.anchors}
    dead = []
    for setting in (setting for setting in found if not setting.is_read):
        if setting.reader.strict:
            message = f"{setting}: {setting.reader.name} has no such option"
        else:
            message = f"{setting}: nothing reads this key"
        near = near_words(setting.key, setting.reader.keys)
        if any(path[: len(setting.path)] == setting.path for path in options):
            if setting.key in anchors:
                raise UserError(f"option {message}; other keys took its value over when the file was read")
            same = [str(other) for other in found if other.is_read and other.key == setting.key]
            raise UserError(f"option {message}{did_you_mean(near or same)}")
        if setting.path[0] in anchors:
            continue
        file = next((file for file in reversed(files) if setting.path in file.keys), None)
        # who sets both has not misspelt one of them
        near = [key for key in near if file is None or (*setting.path[:-1], key) not in file.keys]
        if near or setting.reader.strict:
            raise UserError(f"{message}{did_you_mean(near)}{f' (in {file.name})' if file else ''}")
        dead.append(str(setting))
    if dead:
        logger.warning("nothing reads these keys of the config: %s", ", ".join(dead))
    for file in files:
        for path, line in file.repeated.items():
            logger.warning("config %s says %s twice: what line %d says holds", file.name, ".".join(path), line)


def near_words(word, known):
    """Those of the known words of which it is a misspelling."""
    plain = {str(other).lower().replace("_", ""): other for other in known if isinstance(other, str)}
    word = str(word).lower().replace("_", "")
    close = difflib.get_close_matches(word, plain, cutoff=0.8)
    return [plain[other] for other in close if abs(len(other) - len(word)) < 3]


def did_you_mean(close):
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
