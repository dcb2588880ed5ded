"""How much one template may use before it is stopped; what grows inside a render is measured against these."""

from typing import Final

MAX_TEMPLATE: Final = 1_000_000  # characters of a template
MAX_TOKENS: Final = 100_000  # names, marks, texts and operators of a template
CACHED_TEMPLATES: Final = 1_000  # parsed templates that are kept
CACHED_PARTS: Final = 300_000  # parts of all of them together
MAX_NESTING: Final = 60  # brackets, branches and tags inside each other
MAX_CHAIN: Final = 200  # operators, filters or attributes in one row
MAX_STEPS: Final = 2_000_000  # of work in one render; `allowance` says what counts as one
SHORT_STEPS: Final = 20_000  # of work that is done where others wait; what takes more is begun again beside them
MAX_TEXT: Final = 20_000_000  # characters of one text, and of everything one render prints
MAX_SAID: Final = 4_000  # characters of an error
MAX_ITEMS: Final = 1_000_000  # entries of one list or map, and parts of one structure that is read, written or walked
MAX_RANGE: Final = 100_000  # numbers or letters that `..` and range() make
MAX_DEPTH: Final = 120  # containers inside containers
MAX_CALLS: Final = 20  # macros, blocks and render() inside each other
MAX_PASSES: Final = 100  # passes of render() until the text no longer changes
MAX_DIGITS: Final = 1_000  # digits of a number
MAX_PATTERN: Final = 1_000  # characters of a regular expression, a date pattern or a number format
MAX_YAML: Final = 500_000  # characters that yaml() reads
MAX_PROGRAM: Final = 5_000  # characters of a jq program
SAFE_EFFORT: Final = 50_000_000  # estimated moves of a pattern or jq program that still runs inside the process
MAX_SECONDS: Final = 3  # of processor time that a pattern or jq program may take outside the process
MAX_WAIT: Final = 30.0  # seconds that one render waits for all of them
MAX_MEMORY: Final = 512 * 1024 * 1024  # bytes that one may use there
MAX_PROCESSES: Final = 4  # of them at once; the others wait for their turn, which `MAX_WAIT` does not count
