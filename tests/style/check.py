#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rules about the text of the project.

    python3 tests/style/check.py [arrows|memory|threads|lengths|lines|docs ...]

Without a name: all of them.  Prints one line for each offence; exit code 1 when there is one.
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Who may include whom.  The arrow never turns back.
ARROWS = {
    'base': '',
    'kernels': 'base',
    'tensor': 'base',
    'ops': 'kernels tensor base',
    'graph': 'ops tensor base',
    'onnx': 'graph ops tensor base',
    'data': 'kernels tensor base',
    'train': 'graph data kernels tensor base',
    'prune': 'train graph data ops tensor base',
    'zoo': 'graph base',
    'domain': 'graph data tensor base',
    'gan': 'zoo train domain graph data tensor base',
}
# Which folder a public header belongs to.
HEADERS = {
    'base': 'base', 'tensor': 'tensor', 'image': 'data', 'dataset': 'data', 'model': 'graph',
    'session': 'graph', 'ops': 'graph', 'train': 'train', 'prune': 'prune', 'zoo': 'zoo',
    'domain': 'domain', 'cyclegan': 'gan',
}
# A header that needs a folder's types needs its public header; ops knows attributes, not models.
EXTRA_HEADERS = {'ops': {'ops'}, 'onnx': {'model', 'session', 'ops'}}

# Generated tables and the like: path -> why it may be longer.
LONG_FILES = {}
LONG_FUNCTIONS = {}
MAX_FILE, MAX_FUNCTION, MAX_WIDTH = 600, 80, 100

problems = []


def problem(path, line, text):
    problems.append('%s:%d: %s' % (os.path.relpath(path, ROOT), line, text))


def files(top, *endings):
    for folder, names, found in os.walk(os.path.join(ROOT, top)):
        names[:] = sorted(n for n in names if not n.startswith(('.', 'build', '__pycache__')))
        for name in sorted(found):
            if name.endswith(endings):
                yield os.path.join(folder, name)


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def code_only(text):
    """Comments and the insides of strings become blanks; line numbers stay."""
    def blank(match):
        s = match.group(0)
        if s[0] in '"\'':
            return s[0] + ' ' * (len(s) - 2) + s[0]
        return re.sub(r'[^\n]', ' ', s)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


def check_arrows():
    for path in files('lib', '.c', '.h'):
        folder = os.path.relpath(path, os.path.join(ROOT, 'lib')).split(os.sep)[0]
        if folder not in ARROWS:
            problem(path, 1, 'folder %s is not in the list of arrows' % folder)
            continue
        allowed = set(ARROWS[folder].split()) | {folder}
        for number, line in enumerate(read(path).split('\n'), 1):
            m = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if m:
                target = m.group(1).split('/')[0]
                if '/' not in m.group(1):
                    problem(path, number, 'include "%s" with its folder' % m.group(1))
                elif target not in allowed:
                    problem(path, number, '%s may not include %s' % (folder, target))
            m = re.match(r'\s*#\s*include\s*<edgevision/(\w+)\.h>', line)
            if m and m.group(1) not in EXTRA_HEADERS.get(folder, ()):
                owner = HEADERS.get(m.group(1))
                if owner not in allowed:
                    problem(path, number, '%s may not include <edgevision/%s.h>'
                            % (folder, m.group(1)))
    for path in files('examples', '.c', '.h'):
        for number, line in enumerate(read(path).split('\n'), 1):
            m = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if m and not os.path.exists(os.path.join(os.path.dirname(path), m.group(1))) \
                    and not os.path.exists(os.path.join(ROOT, 'examples', m.group(1))):
                problem(path, number, 'examples use public headers only, not "%s"' % m.group(1))


def search(top, pattern, text, allowed):
    for path in files(top, '.c', '.h'):
        name = os.path.relpath(path, ROOT)
        if any(name.startswith(a) for a in allowed):
            continue
        for number, line in enumerate(code_only(read(path)).split('\n'), 1):
            m = re.search(pattern, line)
            if m and not line.lstrip().startswith('#'):
                problem(path, number, text % m.group(1))


def check_memory():
    search('lib', r'(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup|aligned_alloc|alloca|'
           r'posix_memalign|mmap)\s*\(', '%s: memory comes from base/alloc.c', ['lib/base/'])


def check_threads():
    # The second file reads pictures ahead: it waits for the disk, which no crew should.
    search('lib', r'\b(pthread_\w+|fork|thrd_\w+)\s*\(', '%s: threads live in base/parallel.c',
           ['lib/base/parallel.c', 'lib/data/readers.c'])


def check_lengths():
    for top in ('lib', 'include', 'examples', 'tests', 'bench'):
        for path in files(top, '.c', '.h'):
            name = os.path.relpath(path, ROOT)
            lines = read(path).split('\n')
            if len(lines) - 1 > MAX_FILE and name not in LONG_FILES:
                problem(path, 1, '%d lines, the most is %d' % (len(lines) - 1, MAX_FILE))
            start = None
            for number, line in enumerate(lines, 1):
                if line == '{':
                    start = number
                elif line.startswith('}') and start is not None:
                    length = number - start + 1
                    head = ' '.join(lines[max(0, start - 4):start - 1])
                    called = re.findall(r'(\w+)\(', head)
                    function = called[-1] if called else '?'
                    if length >= MAX_FUNCTION and '%s:%s' % (name, function) not in LONG_FUNCTIONS:
                        problem(path, start, 'a function of %d lines, the most is %d'
                                % (length, MAX_FUNCTION - 1))
                    start = None


def check_lines():
    endings = ('.c', '.h', '.py', '.sh', '.map', 'meson.build', 'meson_options.txt', '.cpp')
    for top in ('lib', 'include', 'examples', 'tests', 'bench', 'pkgconfig'):
        for path in files(top, *endings):
            lines = read(path).split('\n')
            if path.endswith('.map'):
                continue
            if not any('SPDX-License-Identifier: MIT' in line for line in lines[:2]):
                problem(path, 1, 'no SPDX line')
            if lines[-1] != '':
                problem(path, len(lines), 'no newline at the end')
            for number, line in enumerate(lines, 1):
                if len(line) > MAX_WIDTH:
                    problem(path, number, '%d columns' % len(line))
                if '\t' in line:
                    problem(path, number, 'tab')
                if line != line.rstrip():
                    problem(path, number, 'blank at the end')
                if re.match(r'(<<<<<<<|>>>>>>>) ', line):
                    problem(path, number, 'merge mark')


def check_docs():
    """Each complete program in README.md and docs/ compiles."""
    compiler = os.environ.get('CC', 'cc').split()
    pages = list(files('docs', '.md'))
    if os.path.exists(os.path.join(ROOT, 'README.md')):
        pages.append(os.path.join(ROOT, 'README.md'))
    for page in pages:
        text = read(page)
        for m in re.finditer(r'^```c\n(.*?)^```', text, flags=re.S | re.M):
            if not re.search(r'^int main\(', m.group(1), flags=re.M):
                continue
            with tempfile.TemporaryDirectory() as folder:
                source = os.path.join(folder, 'block.c')
                with open(source, 'w', encoding='utf-8') as f:
                    f.write(m.group(1))
                done = subprocess.run(
                    compiler + ['-std=c11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only',
                                '-I', os.path.join(ROOT, 'include'), source],
                    stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode != 0:
                line = text.count('\n', 0, m.start()) + 1
                problem(page, line, 'this program does not compile:\n' + done.stderr)


CHECKS = {
    'arrows': check_arrows,
    'memory': check_memory,
    'threads': check_threads,
    'lengths': check_lengths,
    'lines': check_lines,
    'docs': check_docs,
}


def main():
    for name in sys.argv[1:] or CHECKS:
        CHECKS[name]()
    for line in problems:
        print(line)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
