/* Does the engine's work with libjpeg-turbo, to count instructions: one decode at the smallest scale that covers 1.4 times
 * the largest size, then four sizes by Lanczos, each from the previous one, as JPEG of quality 80 and 4:2:0. It does not
 * turn the picture and ignores profiles, so it does a little less than the engine.
 *
 *     cc -O3 -march=x86-64-v3 -o turbo turbo.c -ljpeg -lm
 *     valgrind --tool=callgrind ./turbo PHOTO          the whole work
 *     valgrind --tool=callgrind ./turbo PHOTO coding   with pixels picked instead of resized: libjpeg-turbo's part
 *     valgrind --tool=callgrind ./turbo PHOTO decode   the decoding alone
 *
 * The resizing here is plain C, slower than the best. With a perfect resizer, the instructions would be between those of
 * the first two commands.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>

typedef struct { int width, height; unsigned char *rgb; } Image;

static Image decode(unsigned char *file, unsigned long length, int wanted) {
  struct jpeg_decompress_struct in;
  struct jpeg_error_mgr errors;
  in.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&in);
  jpeg_mem_src(&in, file, length);
  jpeg_read_header(&in, TRUE);
  int longest = in.image_width > in.image_height ? in.image_width : in.image_height;
  in.scale_denom = 8;
  for (in.scale_num = 1; in.scale_num < 8 && longest * in.scale_num < 8 * 1.4 * wanted; in.scale_num *= 2) {}
  in.out_color_space = JCS_RGB;
  jpeg_start_decompress(&in);
  Image image = {in.output_width, in.output_height, malloc(3ul * in.output_width * in.output_height)};
  while (in.output_scanline < in.output_height) {
    JSAMPROW row = image.rgb + 3ul * in.output_scanline * image.width;
    jpeg_read_scanlines(&in, &row, 1);
  }
  jpeg_finish_decompress(&in);
  jpeg_destroy_decompress(&in);
  return image;
}

/* The weights of each output sample: where they begin, how many, and their values, which add up to 1 << 14. */
typedef struct { int *begin, *count, most; short *values; } Weights;

static Weights weights(int from, int to) {
  double scale = (double)from / to, support = 3 * (scale > 1 ? scale : 1), shrink = scale > 1 ? 1 / scale : 1;
  Weights w = {malloc(to * sizeof(int)), malloc(to * sizeof(int)), (int)ceil(support) * 2 + 1, NULL};
  w.values = calloc((size_t)to * w.most, sizeof(short));
  double *exact = malloc(w.most * sizeof(double));
  for (int i = 0; i < to; i++) {
    double centre = (i + 0.5) * scale, sum = 0;
    int begin = centre - support < 0 ? 0 : (int)(centre - support + 0.5);
    int end = centre + support + 0.5 > from ? from : (int)(centre + support + 0.5);
    for (int k = begin; k < end; k++) {
      double x = M_PI * (k + 0.5 - centre) * shrink;
      exact[k - begin] = fabs(x) < 1e-9 ? 1 : fabs(x) >= 3 * M_PI ? 0 : 3 * sin(x) * sin(x / 3) / (x * x);
      sum += exact[k - begin];
    }
    for (int k = 0; k < end - begin; k++) w.values[(size_t)i * w.most + k] = (short)lrint(exact[k] / sum * 16384);
    w.begin[i] = begin, w.count[i] = end - begin;
  }
  free(exact);
  return w;
}

static void drop(Weights w) { free(w.begin); free(w.count); free(w.values); }

static unsigned char clamp(int v) { v = (v + 8192) >> 14; return v < 0 ? 0 : v > 255 ? 255 : v; }

static Image resize(Image from, int width, int height) {
  Image narrow = {width, from.height, malloc(3ul * width * from.height)}, to = {width, height, malloc(3ul * width * height)};
  Weights w = weights(from.width, width);
  for (int y = 0; y < from.height; y++)
    for (int x = 0; x < width; x++) {
      const unsigned char *in = from.rgb + 3ul * ((size_t)y * from.width + w.begin[x]);
      const short *value = w.values + (size_t)x * w.most;
      int r = 0, g = 0, b = 0;
      for (int k = 0; k < w.count[x]; k++) r += in[3 * k] * value[k], g += in[3 * k + 1] * value[k], b += in[3 * k + 2] * value[k];
      unsigned char *out = narrow.rgb + 3ul * ((size_t)y * width + x);
      out[0] = clamp(r), out[1] = clamp(g), out[2] = clamp(b);
    }
  drop(w);
  w = weights(from.height, height);
  int *sums = malloc(3ul * width * sizeof(int));
  for (int y = 0; y < height; y++) {
    memset(sums, 0, 3ul * width * sizeof(int));
    for (int k = 0; k < w.count[y]; k++) {
      const unsigned char *in = narrow.rgb + 3ul * (size_t)(w.begin[y] + k) * width;
      int value = w.values[(size_t)y * w.most + k];
      for (int x = 0; x < 3 * width; x++) sums[x] += in[x] * value;
    }
    for (int x = 0; x < 3 * width; x++) to.rgb[3ul * (size_t)y * width + x] = clamp(sums[x]);
  }
  drop(w), free(sums), free(narrow.rgb);
  return to;
}

static Image picked(Image from, int width, int height) {
  Image to = {width, height, malloc(3ul * width * height)};
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      memcpy(to.rgb + 3ul * ((size_t)y * width + x),
             from.rgb + 3ul * ((size_t)y * from.height / height * from.width + (size_t)x * from.width / width), 3);
  return to;
}

static unsigned long encode(Image image) {
  struct jpeg_compress_struct out;
  struct jpeg_error_mgr errors;
  unsigned char *file = NULL;
  unsigned long length = 0;
  out.err = jpeg_std_error(&errors);
  jpeg_create_compress(&out);
  jpeg_mem_dest(&out, &file, &length);
  out.image_width = image.width, out.image_height = image.height, out.input_components = 3, out.in_color_space = JCS_RGB;
  jpeg_set_defaults(&out);
  jpeg_set_quality(&out, 80, TRUE);
  out.optimize_coding = TRUE; /* As the engine and sharp do. */
  jpeg_start_compress(&out, TRUE);
  while (out.next_scanline < out.image_height) {
    JSAMPROW row = image.rgb + 3ul * out.next_scanline * image.width;
    jpeg_write_scanlines(&out, &row, 1);
  }
  jpeg_finish_compress(&out);
  jpeg_destroy_compress(&out);
  free(file);
  return length;
}

int main(int count, char **arguments) {
  FILE *input = count > 1 ? fopen(arguments[1], "rb") : NULL;
  if (!input) return fprintf(stderr, "turbo PHOTO [coding|decode]\n"), 1;
  fseek(input, 0, SEEK_END);
  long length = ftell(input);
  rewind(input);
  unsigned char *file = malloc(length);
  if (fread(file, 1, length, input) != (size_t)length) return 1;
  Image image = decode(file, length, 512);
  int coding = count > 2 && !strcmp(arguments[2], "coding");
  if (count > 2 && !coding) return printf("%d x %d\n", image.width, image.height), 0;
  for (int size = 512; size >= 64; size /= 2) {
    double scale = (double)size / (image.width > image.height ? image.width : image.height);
    Image smaller = (coding ? picked : resize)(image, (int)lrint(image.width * scale), (int)lrint(image.height * scale));
    free(image.rgb);
    image = smaller;
    printf("%d x %d: %lu bytes\n", image.width, image.height, encode(image));
  }
  return 0;
}
