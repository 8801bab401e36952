/* Register tiles of three and of four vectors, for products that end with something between them.

   A cell of a recurrent network makes its new state of several gates: of the same unit's numbers in
   several parts of z. In a tile that holds the same 16 units of every gate side by side, all that
   the cell needs is there when the sums are done. Such tiles have fewer rows, for the same number of
   registers: 7 rows x 4 vectors, 9 x 3. (The micro-kernel itself is tile.h's.) */

#if BYTES == 64
#define ROWS_OF_4 7
#define ROWS_OF_3 9
#elif BYTES == 32
#define ROWS_OF_4 2
#define ROWS_OF_3 4
#elif defined(__aarch64__)
#define ROWS_OF_4 6
#define ROWS_OF_3 8
#else
#define ROWS_OF_4 2
#define ROWS_OF_3 3
#endif

TILE(1, 3, 1) TILE(2, 3, 1) TILE(3, 3, 1) TILE(1, 4, 1) TILE(2, 4, 1)
#if ROWS_OF_3 >= 4
TILE(4, 3, 1)
#endif
#if ROWS_OF_3 >= 8
TILE(5, 3, 1) TILE(6, 3, 1) TILE(7, 3, 1) TILE(8, 3, 1)
TILE(3, 4, 1) TILE(4, 4, 1) TILE(5, 4, 1) TILE(6, 4, 1)
#endif
#if ROWS_OF_3 >= 9
TILE(9, 3, 1) TILE(7, 4, 1)
#endif

static NAME(tile_function) *const NAME(tile_of_3)[ROWS_OF_3] = { /* [rows - 1] */
    NAME(tile_1_3_1), NAME(tile_2_3_1), NAME(tile_3_3_1),
#if ROWS_OF_3 >= 4
    NAME(tile_4_3_1),
#endif
#if ROWS_OF_3 >= 8
    NAME(tile_5_3_1), NAME(tile_6_3_1), NAME(tile_7_3_1), NAME(tile_8_3_1),
#endif
#if ROWS_OF_3 >= 9
    NAME(tile_9_3_1),
#endif
};
static NAME(tile_function) *const NAME(tile_of_4)[ROWS_OF_4] = {
    NAME(tile_1_4_1), NAME(tile_2_4_1),
#if ROWS_OF_4 >= 6
    NAME(tile_3_4_1), NAME(tile_4_4_1), NAME(tile_5_4_1), NAME(tile_6_4_1),
#endif
#if ROWS_OF_4 >= 7
    NAME(tile_7_4_1),
#endif
};
