#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of all public functions, from the headers.

    python3 generate.py OUT TABLE HEADER...

Writes for each function: its arguments and their kinds, a call with arguments from an array, and
good arguments as TABLE (arguments.txt) says.  A function for which TABLE knows no arguments is
still in the table, marked as unknown: the test names it.
"""
import re
import sys

NUMBERS = {'int32_t': 'I32', 'ev_value': 'I32', 'ev_status': 'I32', 'uint32_t': 'U32',
           'int64_t': 'I64', 'uint64_t': 'U64', 'float': 'F32', 'double': 'F64'}


def without_comments(text):
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    text = re.sub(r'^\s*#.*?(?<!\\)$', '', text, flags=re.M)
    return re.sub(r'\s+', ' ', text)


class Table:
    """Lines of three columns: what, function.argument ("*" for any function), C expression."""

    def __init__(self, path):
        self.rows = {}
        with open(path, encoding='utf-8') as f:
            for line in f:
                words = line.split(None, 2)
                if words and not words[0].startswith('#'):
                    self.rows[words[0], words[1]] = words[2].strip() if len(words) > 2 else ''

    def find(self, what, function, argument, kind=None):
        for key in ('%s.%s' % (function, argument), '*.%s' % argument, '*:%s' % kind):
            if (what, key) in self.rows:
                return self.rows[what, key]
        return None


def structs_of(text):
    """Structs that begin with struct_size, with their fields: (name, kind)."""
    found = {}
    for name, body in re.findall(r'typedef struct (ev_\w+) \{(.*?)\} ev_\w+;', text):
        fields = []
        for part in body.split(';'):
            part = part.strip()
            if not part:
                continue
            pointer = re.match(r'.*\(\*(\w+)\)\(', part)
            if pointer:
                fields.append((pointer.group(1), 'FN'))
                continue
            head = re.match(r'(const )?(\w+)\s+(.*)', part)
            for item in head.group(3).split(','):
                field = re.match(r'.*?(\w+)\s*(\[.*\])?$', item.strip()).group(1)
                kind = 'POINTER' if '*' in part else 'FN' if head.group(2).endswith('_fn') \
                    else NUMBERS.get(head.group(2), 'POINTER')
                fields.append((field, kind))
        if fields and fields[0][0] == 'struct_size':
            found[name] = fields[1:]
    return found


def kind_of(kind, name, handles, structs):
    """(kind, handle or struct) of an argument."""
    bare = kind.replace('const ', '').replace(' const', '').replace(' ', '')
    base, stars = bare.rstrip('*'), bare.count('*')
    constant = kind.startswith('const ')
    if stars == 0:
        return ('FN', '') if base.endswith('_fn') else (NUMBERS[base], '')
    if stars == 1 and base in handles:
        return 'HANDLE', base
    if stars == 1 and base in structs:
        return ('STRUCT_IN' if constant else 'STRUCT_OUT'), base
    if stars == 1 and base == 'char':
        return 'TEXT', ''
    gives = name in ('out', 'report') or name.endswith('_out')
    if stars == 2 and not kind.endswith('const *') and gives:
        return ('OUT_HANDLE', base) if base in handles else ('OUT_POINTER', base)
    if stars == 1 and not constant and (name == 'out' or name.endswith('_out')):
        return 'OUT_NUMBER', base
    return 'POINTER', ''


def prototypes(text):
    for match in re.finditer(r'EV_API ([^;(]*?)\s*(\**)(ev_\w+)\(([^;]*?)\);', text):
        kind = (match.group(1) + ' ' + match.group(2)).strip()
        arguments = []
        for part in match.group(4).split(','):
            part = part.strip()
            if part != 'void':
                m = re.match(r'(.*?)(\w+)$', part)
                arguments.append((m.group(1).strip(), m.group(2)))
        yield kind, match.group(3), arguments


MEMBERS = {'I32': 'i32', 'U32': 'u32', 'I64': 'i64', 'U64': 'u64', 'F32': 'f32', 'F64': 'f64'}


def write_call(out, kind, name, arguments):
    passed = []
    for i, (text, _, argument) in enumerate(arguments):
        if argument[0] in MEMBERS:
            passed.append('a[%d].%s' % (i, MEMBERS[argument[0]]))
        elif argument[0] == 'FN':
            passed.append('(%s)a[%d].fn' % (text, i))
        else:
            passed.append('(%s)a[%d].p' % (text, i))
    call = '%s(%s)' % (name, ', '.join(passed))
    out.append('static void call_%s(const api_slot *a, api_slot *r)\n{' % name)
    if not arguments:
        out.append('    (void)a;')
    if kind == 'void':
        out.append('    (void)r;\n    %s;' % call)
    elif '*' in kind:
        out.append('    r->p = (void *)(uintptr_t)%s;' % call)
    else:
        out.append('    r->%s = %s;' % (MEMBERS[NUMBERS[kind]], call))
    out.append('}')


def write_good(out, name, values):
    out.append('static void good_%s(api_world *w, api_slot *a)\n{' % name)
    out.append('    (void)w;\n    (void)a;')
    for i, (member, expression) in enumerate(values):
        if member == 'p':
            expression = '(void *)(uintptr_t)(%s)' % expression
        elif member == 'fn':
            expression = '(void (*)(void))(%s)' % expression
        out.append('    a[%d].%s = %s;' % (i, member, expression))
    out.append('}')


def write_function(out, entry, table, handles, structs):
    kind, name, prototype = entry
    arguments, values, known = [], [], True
    for text, argument in prototype:
        found = kind_of(text, argument, handles, structs)
        arguments.append((text, argument, found))
        member = MEMBERS.get(found[0], 'fn' if found[0] == 'FN' else 'p')
        value = table.find('value', name, argument, found[1] or found[0])
        if found[0] == 'STRUCT_OUT':
            value = 'api_block(w, sizeof(%s))' % found[1]
        if value is None:
            known = False
            value = '0'
        values.append((member, value))
    write_call(out, kind, name, arguments)
    write_good(out, name, values)
    rows = []
    for text, argument, found in arguments:
        flags = [f for f in ('null', 'any', 'count', 'borrowed', 'array', 'needed', 'based')
                 if table.find(f, name, argument) is not None]
        if 'needed' in flags and 'null' in flags:
            flags.remove('null')
        handle = 'API_%s' % found[1] if found[0] in ('HANDLE', 'OUT_HANDLE') else '0'
        struct = '&struct_%s' % found[1] if found[0].startswith('STRUCT') else 'NULL'
        rows.append('    {"%s", API_%s, %s, %s, %s},' % (
            argument, found[0], handle, struct,
            ' | '.join('API_MAY_BE_' + f.upper() for f in flags) or '0'))
    if rows:
        out.append('static const api_argument args_%s[] = {\n%s\n};' % (name, '\n'.join(rows)))
    returns = 'STATUS' if kind == 'ev_status' else 'VOID' if kind == 'void' else \
        'POINTER' if '*' in kind else NUMBERS[kind]
    known = known or ('known', name) in table.rows
    out.append('#define ROW_%s {"%s", API_%s, %d, %d, %s, call_%s, good_%s}' % (
        name, name, returns, known, len(rows), 'args_%s' % name if rows else 'NULL', name, name))


def main():
    out_path, table_path, headers = sys.argv[1], sys.argv[2], sys.argv[3:]
    texts = []
    for path in headers:
        with open(path, encoding='utf-8') as f:
            texts.append(without_comments(f.read()))
    text = ' '.join(texts)
    table = Table(table_path)
    structs = structs_of(text)
    handles = sorted(set(re.findall(r'typedef struct (ev_\w+) \1;', text)) - set(structs))
    functions = sorted(set((k, n, tuple(a)) for k, n, a in prototypes(text)), key=lambda e: e[1])
    out = ['/* SPDX-License-Identifier: MIT */', '/* Made by tests/api/generate.py. */']
    out.append('enum { %s, API_N_HANDLES };' % ', '.join(
        'API_%s%s' % (h, ' = 1' if i == 0 else '') for i, h in enumerate(handles)))
    out.append('#ifdef API_TABLE')
    for name, fields in structs.items():
        rows = ['    {"%s", API_%s, offsetof(%s, %s)},' % (f, k, name, f) for f, k in fields]
        out.append('static const api_field fields_%s[] = {\n%s\n};' % (name, '\n'.join(rows)))
        out.append('static const api_struct struct_%s = {"%s", sizeof(%s), %d, fields_%s};' % (
            name, name, name, len(fields), name))
    for entry in functions:
        write_function(out, entry, table, handles, structs)
    out.append('static const api_function rows[] = {')
    out += ['    ROW_%s,' % name for _, name, _ in functions]
    out.append('};\nstatic const char *const handle_names[] = {"none",')
    out += ['    "%s",' % h for h in handles]
    out.append('};\nstatic void (*const handle_ends[])(api_slot) = {NULL,')
    ends = ['    end_%s,' % h for h in handles]
    out.append('%s\n};\n#endif' % '\n'.join(ends))
    body = '\n'.join(out)
    destroys = ['static void end_%s(api_slot s)\n{\n    %s_destroy(s.p);\n}' % (h, h)
                for h in handles]
    body = body.replace('#ifdef API_TABLE', '#ifdef API_TABLE\n' + '\n'.join(destroys), 1)
    with open(out_path, 'w', encoding='utf-8') as f:
        f.write(body + '\n')


if __name__ == '__main__':
    main()
