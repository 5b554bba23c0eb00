# SPDX-License-Identifier: MIT
# Time of small generators by their multiply-adds:
#     bench/gan_small > gan_small.csv && gnuplot gan_small.gp    (writes gan_small.svg)
set datafile separator ','
set terminal svg size 800,520 dynamic font 'sans,11' background '#ffffff'
set output 'gan_small.svg'
set title 'Generators of width 8 to 64, one picture'
set xlabel 'multiply-adds in millions'
set ylabel 'milliseconds (least)'
set logscale xy
set grid lc rgb '#dddddd'
set key bottom right
pick(block, enlarge, n, y) = stringcolumn(3) eq block && stringcolumn(4) eq enlarge && $2 == n ? y : NaN
set datafile missing NaN
plot for [n in "6 3"] 'gan_small.csv' skip 1 \
         using 6:(pick('full', 'transposed', int(n), $7)) with linespoints pt 7 ps 0.6 \
         title sprintf('%s blocks, full', n), \
     for [n in "6 3"] 'gan_small.csv' skip 1 \
         using 6:(pick('separable', 'transposed', int(n), $7)) with linespoints pt 6 ps 0.6 \
         title sprintf('%s blocks, separable', n), \
     for [n in "6 3"] 'gan_small.csv' skip 1 \
         using 6:(pick('full', 'resize', int(n), $7)) with linespoints pt 5 ps 0.6 dt 2 \
         title sprintf('%s blocks, full, resize', n), \
     for [n in "6 3"] 'gan_small.csv' skip 1 \
         using 6:(pick('separable', 'resize', int(n), $7)) with linespoints pt 4 ps 0.6 dt 2 \
         title sprintf('%s blocks, separable, resize', n), \
     10 with lines lc rgb '#808080' dt 3 title '10 ms'
