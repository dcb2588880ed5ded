"""What other tools and languages call filters and functions → what does the same here."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from engine.expressions import FILTERS, FUNCTIONS

LIKE = 0.7  # how much of a name must be the same: `limit` is no slip for `split`
# What to write → the names that people try for it, without `_` and in lower case.
MEANT = {
    "value | length": "len size count",
    "'' ~ value": "str tostr tostring",
    "value | number": "int float toint parseint tofloat parsefloat tonumber asint",
    "value == 'true'": "bool boolean tobool toboolean",
    "value contains 'text'": "contains includes has haskey haselement indexof strpos in",
    "fromJson(value)": "fromjson parsejson jsonparse jsondecode jsonloads loadjson loads",
    "value | toJson": "tojson jsonencode jsondumps jsonstringify stringify dump dumps pretty toprettyjson",
    "yaml(value)": "fromyaml parseyaml yamldecode",
    "value | yaml": "toyaml yamlencode",
    "value | base64encode": "base64 b64 b64enc b64encode tobase64 base64enc",
    "value | base64decode": "b64dec b64decode frombase64 base64dec",
    "value | sha256": "hash sha",
    "value | urlencode": "encodeuri encodeuricomponent urlescape quoteplus",
    "value | date('yyyy-MM-dd')": "strftime formatdate dateformat todate parsedate asdatetime strptime datetime",
    "now() | date('yyyy-MM-dd')": "today currentdate curdate sysdate getdate",
    "now()": "utcnow currenttimestamp currenttime getutcdate",
    "now() | dateAdd(-1, 'DAYS')": "yesterday",
    "now() | dateAdd(1, 'DAYS')": "tomorrow",
    "value | dateAdd(1, 'DAYS')": "dateadd adddays plusdays datemodify adddate addtime timedelta",
    "value | dateAdd(-1, 'DAYS')": "minusdays subtractdays subdays datesub",
    "(later | timestamp) - (value | timestamp)": "datediff diffdates datediffdays",
    "value | timestamp": "epoch unix unixtimestamp tounix totimestamp unixtime",
    "value | timestampMilli": "timestampms timestampmillis epochmillis",
    "value | abbreviate(100)": "truncate truncatechars ellipsis",
    "value | distinct": "unique uniq dedupe",
    "value | trim": "strip lstrip rstrip ltrim rtrim trimstart trimend",
    "value | slice(0, 10)": "substr substring take limit left mid top",
    "value | regexMatch('pattern')": "match matches regex regexsearch search regexptest",
    "value | regexReplace('a', 'b')": "regexpreplace resub",
    "value | replace({'a': 'b'})": "replaceall strreplace gsub",
    "value | split('\\n')": "lines splitlines",
    "value | capitalize": "capfirst ucfirst",
    "value | title": "titlecase initcap",
    "value | lower": "lowercase tolowercase tolower lcase downcase",
    "value | upper": "uppercase toupper touppercase ucase upcase",
    "value | jq('.name') | first": "jsonpath jmespath jsonquery jsonextract",
    "value | jq('.[].name')": "map pluck",
    "value | jq('map(select(.name == 1))') | first": "select selectattr where rejectattr",
    "value | jq('map(select(.name))') | first": "filter",
    "value | jq('to_entries') | first": "items entries dictsort",
    "value | jq('sort_by(.name)') | first": "sortby orderby",
    "value | jq('group_by(.name)') | first": "groupby",
    "value | jq('add') | first": "sum",
    "value | jq('add / length') | first": "avg average mean",
    "value | jq('ceil') | first": "ceil ceiling",
    "value | jq('floor') | first": "floor",
    "value | flatten": "flatmap",
    "value | sort": "sorted",
    "value | reverse": "reversed",
    "value | merge([item])": "append push add",
    "value ~ 'text'": "concat concatenate strcat",
    "value | numberFormat('0.00')": "round tofixed formatnumber currency",
    "value | numberFormat('000')": "lpad zfill padstart padleft",
    "value | sh": "shellquote shellescape quote",
    "value | className": "typeof typedebug",
    "value ?? '…'": "d coalesce nvl ifnull ifempty defaultifempty firstnonempty isnullorempty",
    "condition ? value : other": "if iff iif ternary cond",
    "value == other": "equals equal eq",
    "value != other": "notequals ne neq",
    "value is empty": "empty isempty",
    "value is not empty": "notempty isnotempty",
    "value is defined": "defined isdefined isset exists",
    "value is null": "isnull isnone",
    "value['name']": "get attr getattr lookup nth",
    "{{ value }}": "print echo",
    "uuid()": "uuid4 uuidv4 guid newguid newid generateuuid randomuuid",
    "randomInt(0, 100)": "random rand randint",
    "secret('NAME')": "getsecret secrets",
    "envs.name": "getenv environ",
    "kv('key')": "kvget getkv kvstore",
    "read(uri)": "readfile file open loadfile",
    "inputs.name": "input inputs getinput param params parameter parameters args",
    "vars.name": "var vars variable variables getvariable",
    "outputs.task.name": "output outputs getoutput taskoutput xcompull xcom steps",
    "execution.id": "execution executionid runid",
    "flow.id": "flow flowid workflow",
    "Nothing is escaped: leave it out.": "raw safe",
    "Lists stay lists: leave it out.": "list tolist",
    "Tasks under `errors` run when one has failed, those under `finally` always.": "failure success always cancelled",
}
NAMES: Mapping[str, str] = {name: advice for advice, names in MEANT.items() for name in names.split()}
OF_NOTHING: Mapping[str, str] = {"strftime": "now() | date('yyyy-MM-dd')"}  # as functions, which are given no value


def instead(kind: str, name: str, installed: Collection[str]) -> str:
    """What to write for a filter or a function of a name that is none here, or none of this kind."""
    plain = name.replace("_", "").lower()
    if kind == "function" and name in FILTERS:
        return f"It is a filter: write `value | {name}`."
    if kind == "filter" and name in FUNCTIONS:
        return f"It is a function: write `{name}(…)`."
    advice = (OF_NOTHING.get(plain) if kind == "function" else None) or NAMES.get(plain, "")
    if advice:
        return advice if advice.endswith(".") else f"Write `{advice}`."
    if same := next((one for one in installed if one.lower() == plain), ""):
        return f"Did you mean `{same}`?"
    if other := next((one for one in (FILTERS if kind == "function" else FUNCTIONS) if one.lower() == plain), ""):
        return f"It is a filter: write `value | {other}`." if kind == "function" else f"Write `{other}(…)`."
    near = get_close_matches(name, installed, n=1, cutoff=LIKE)
    return f"Did you mean `{near[0]}`?" if near else ""
