#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The functions of headers that a build leaves out (-Dtraining=false): programs still link, and are
told EV_ERR_UNSUPPORTED.  What has no status gives what it gives for NULL.

    python3 training.py OUT HEADER...
"""
import re
import sys

NOTHING = {'int32_t': '0', 'int64_t': '0', 'uint64_t': '0', 'double': '(double)NAN'}


def function(kind, name, arguments, doc):
    names = [re.search(r'(\w+)$', a.strip()).group(1) for a in arguments if a.strip() != 'void']
    body = ['    (void)%s;' % n for n in names]
    for text, n in zip(arguments, names):
        if re.search(r'\*\s*\*\s*\w+$', text) and 'const *' not in text:
            if n == 'out' or n.endswith('_out'):
                body.append('    if (%s != NULL)\n        *%s = NULL;' % (n, n))
    if kind == 'ev_status':
        body.append('    return evi_fail(EV_ERR_UNSUPPORTED, "%s: this library was built without '
                    'training",\n                    __func__);')
    elif kind.endswith('*'):
        body.append('    return NULL;')
    elif kind != 'void':
        none = re.search(r'-1 for NULL|or -1|-1: ', doc) and kind.startswith('int')
        body.append('    return %s;' % ('-1' if none else NOTHING[kind]))
    space = '' if kind.endswith('*') else ' '
    return '%s%s%s(%s)\n{\n%s\n}\n' % (kind, space, name, ', '.join(a.strip() for a in arguments),
                                       '\n'.join(body))


def main():
    out = ['/* SPDX-License-Identifier: MIT */', '/* Made by lib/without/training.py. */',
           '#include "base/base.h"', '#include <math.h>']
    bodies = []
    for path in sys.argv[2:]:
        with open(path, encoding='utf-8') as f:
            text = f.read()
        out.append('#include <edgevision/%s>' % path.replace('\\', '/').split('/')[-1])
        for m in re.finditer(r'(/\*\*(?:[^*]|\*(?!/))*\*/\s*)?EV_API ([\w ]+?\**)\s*(\**)(ev_\w+)'
                             r'\(([^;]*?)\);', text):
            kind = (m.group(2) + ' ' + m.group(3)).strip() if m.group(3) else m.group(2).strip()
            arguments = re.sub(r'\s+', ' ', m.group(5)).split(',')
            bodies.append(function(kind, m.group(4), arguments, m.group(1) or ''))
    with open(sys.argv[1], 'w', encoding='utf-8') as f:
        f.write('\n'.join(out) + '\n\n' + '\n'.join(bodies))


if __name__ == '__main__':
    main()
