#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The public interface as the linker and the compilers see it.

    python3 tests/abi/abi.py headers               each header alone: C11, C17, C++11, 17, 20
    python3 tests/abi/abi.py symbols LIBRARY.so    headers == version map == exported symbols;
                                                   nothing undefined that could end the process
                                                   or print; no writable data but what is listed
    python3 tests/abi/abi.py map                   write lib/edgevision.map anew from the headers

The map is the ledger of the interface: a symbol stays under the release that first had it.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = os.path.join(ROOT, 'include')
MAP = os.path.join(ROOT, 'lib', 'edgevision.map')

FORBIDDEN = set('''abort exit _exit _Exit quick_exit atexit __assert_fail __assert assert printf
    vprintf puts putchar putc fputs fputc fprintf vfprintf perror __printf_chk __fprintf_chk
    __vprintf_chk __vfprintf_chk rand srand random srandom drand48 setlocale getenv secure_getenv
    setenv putenv signal sigaction raise kill system popen fork chdir umask sprintf __sprintf_chk
    gets strtok localtime gmtime asctime ctime strerror localeconv'''.split())

# Writable variables that the library may have, and why.
WRITABLE = {
    'completed.0': 'C start-up code',
    '__dso_handle': 'C start-up code',
    '__TMC_END__': 'C start-up code',
    '__cpu_model': 'libgcc: what the processor can do, written before main()',
    '__cpu_features2': 'libgcc: the same',
    '__bss_start': 'linker', '_edata': 'linker', '_end': 'linker',
}

failures = []


def fail(text):
    failures.append(text)


def headers():
    return sorted(glob.glob(os.path.join(INCLUDE, 'edgevision', '*.h')))


def without_comments(text):
    return re.sub(r'/\*.*?\*/|//[^\n]*', ' ', text, flags=re.S)


def declared():
    names = {}
    for path in headers():
        with open(path, encoding='utf-8') as f:
            text = without_comments(f.read())
        for m in re.finditer(r'\bEV_API\b(?!\s*__attribute__)([^;{]*);', text):
            function = re.search(r'\b(ev_\w+)\s*\(', m.group(1))
            if function:
                names[function.group(1)] = os.path.basename(path)
    return names


# ---- each header alone -------------------------------------------------------------------------

def compile_header(compiler, standard, header, extra):
    ending = '.cpp' if '++' in standard else '.c'
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, 'alone' + ending)
        with open(source, 'w', encoding='utf-8') as f:
            f.write('#include <edgevision/%s>\n#include <edgevision/%s>\nint alone;\n'
                    % (header, header))
        command = compiler + ['-std=' + standard, '-Wall', '-Wextra', '-Wpedantic', '-Werror',
                              '-I', INCLUDE, '-fsyntax-only', source] + extra
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            fail('%s as %s:\n%s' % (header, standard, done.stderr))


def check_headers():
    c = os.environ.get('CC', 'cc').split()
    cxx = os.environ.get('CXX', 'c++').split()
    cases = [(c, s, ['-Wpadded', '-Wstrict-prototypes']) for s in ('c11', 'c17')]
    if shutil.which(cxx[0]):
        cases += [(cxx, s, []) for s in ('c++11', 'c++17', 'c++20')]
    else:
        print('no C++ compiler: C only')
    for path in headers():
        for compiler, standard, extra in cases:
            compile_header(compiler, standard, os.path.basename(path), extra)
        words = without_comments(open(path, encoding='utf-8').read())
        if re.search(r'\bEV_API\b[^;]*\benum\b|\btypedef enum\b', words):
            fail('%s: an enum type in the interface' % os.path.basename(path))


# ---- symbols -----------------------------------------------------------------------------------

def lines_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split('\n')


def map_nodes():
    with open(MAP, encoding='utf-8') as f:
        text = without_comments(f.read())
    nodes = []
    for m in re.finditer(r'(EDGEVISION_[\d.]+)\s*\{(.*?)\}\s*(\w*[\w.]*)\s*;', text, flags=re.S):
        names = re.search(r'global:(.*?)(?:local:|$)', m.group(2), flags=re.S)
        nodes.append((m.group(1), re.findall(r'[\w*]+', names.group(1)) if names else []))
    return nodes


def compare(one, a, other, b):
    for name in sorted(a - b):
        fail('%s is in the %s and not in the %s' % (name, one, other))
    for name in sorted(b - a):
        fail('%s is in the %s and not in the %s' % (name, other, one))


def writable_data(library):
    sections = {}
    for line in lines_of('readelf', '-SW', library):
        m = re.match(r'\s*\[\s*(\d+)\]\s+(\S+)', line)
        if m:
            sections[m.group(1)] = m.group(2)
    for line in lines_of('readelf', '-sW', library):
        words = line.split()
        if len(words) >= 8 and words[3] in ('OBJECT', 'NOTYPE') and words[2] != '0':
            if sections.get(words[6], '') in ('.data', '.bss'):
                yield words[7]


def check_symbols(library):
    exported, undefined = set(), set()
    for line in lines_of('nm', '-D', library):
        words = line.split()
        if len(words) >= 3 and words[1] in 'TDBRVWiu':
            name = words[2].split('@')[0]
            if words[1] == 'T':
                exported.add(name)
            elif not words[2].startswith('EDGEVISION_'):
                fail('%s is exported and no function' % name)
        elif len(words) >= 2 and words[0] in 'Uw':
            undefined.add(words[1].split('@')[0])
    mapped = set()
    for _, names in map_nodes():
        mapped |= set(names)
    if '*' in ''.join(mapped):
        fail('lib/edgevision.map lists a pattern: run sh tests/abi/update-map.sh')
    compare('headers', set(declared()), 'library', exported)
    compare('map', mapped, 'library', exported)
    for name in sorted(undefined & FORBIDDEN):
        fail('the library calls %s()' % name)
    for name in sorted(set(writable_data(library)) - set(WRITABLE)):
        fail('writable data: %s' % name)
    print('%d symbols' % len(exported))


# ---- the map -----------------------------------------------------------------------------------

def write_map():
    names = set(declared())
    with open(os.path.join(INCLUDE, 'edgevision', 'base.h'), encoding='utf-8') as f:
        base = f.read()
    release = 'EDGEVISION_%s.%s' % tuple(
        re.search(r'#define EV_VERSION_%s (\d+)' % part, base).group(1)
        for part in ('MAJOR', 'MINOR'))
    nodes = [(node, sorted(n for n in old if n in names)) for node, old in map_nodes()]
    if release not in [node for node, _ in nodes]:
        nodes.append((release, []))
    known = {n for _, old in nodes for n in old}
    with open(MAP, 'w', encoding='utf-8') as f:
        f.write('/* SPDX-License-Identifier: MIT */\n'
                '/* Every exported symbol under the release that first had it.\n'
                ' * Written by tests/abi/update-map.sh from the headers. */\n')
        before = ''
        for node, old in nodes:
            if node == release:
                old = sorted(set(old) | (names - known))
            f.write('%s {\n    global:\n' % node)
            f.writelines('        %s;\n' % n for n in old)
            f.write('    local:\n        *;\n}%s;\n' % before if not before else '}%s;\n' % before)
            before = ' ' + node
    print('%s: %d symbols' % (os.path.relpath(MAP, ROOT), len(names)))


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ''
    if what == 'headers':
        check_headers()
    elif what == 'symbols' and len(sys.argv) == 3:
        check_symbols(sys.argv[2])
    elif what == 'map':
        write_map()
    else:
        print(__doc__)
        return 2
    for text in failures:
        print(text)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
