// sharp with two recipes: `best`, as its experts write it, and `usual`, as its documentation shows it. See ../compare.py.
import fs from 'node:fs'
import readline from 'node:readline'
import sharp from 'sharp'

sharp.cache(false)
sharp.concurrency(1)
const sizes = [512, 256, 128, 64]
const inside = size => [size, size, { fit: 'inside', withoutEnlargement: true }]
const encoded = (image, format) =>
  (format === 'png' ? image.png({ compressionLevel: 1 }) : image.flatten({ background: '#fff' }).jpeg({ quality: 80 })).toBuffer()

async function best (bytes, format) {
  // One decode, shrunk while loading. Each size is made from the raw pixels of the previous size.
  let { data, info } = await sharp(bytes).rotate().resize(...inside(512)).raw().toBuffer({ resolveWithObject: true })
  const out = []
  for (const size of sizes) {
    let raw = { raw: { width: info.width, height: info.height, channels: info.channels } }
    if (size !== sizes[0]) {
      ({ data, info } = await sharp(data, raw).resize(...inside(size)).raw().toBuffer({ resolveWithObject: true }))
      raw = { raw: { width: info.width, height: info.height, channels: info.channels } }
    }
    out.push(await encoded(sharp(data, raw), format))
  }
  return out
}

async function usual (bytes, format) {
  const out = []
  for (const size of sizes) out.push(await encoded(sharp(bytes).rotate().resize(...inside(size)), format))
  return out
}

const recipes = { best, usual }

// Renders many files, two at a time on two threads, to measure pictures per second. Each file is read when its turn
// comes.
async function many (paths, recipe, format) {
  let next = 0
  const worker = async () => {
    while (next < paths.length) await recipes[recipe](fs.readFileSync(paths[next++]), format)
  }
  await Promise.all([worker(), worker()])
  console.log(JSON.stringify({ rss: process.resourceUsage().maxRSS }))
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { path, paths, recipe, format, repeat, out } = JSON.parse(line)
  if (paths) {
    await many(paths, recipe, format)
    continue
  }
  const bytes = fs.readFileSync(path)
  let cpu = Infinity
  let made = []
  for (let i = 0; i < repeat; i++) {
    const before = process.cpuUsage()
    made = await recipes[recipe](bytes, format)
    const { user, system } = process.cpuUsage(before)
    cpu = Math.min(cpu, (user + system) / 1000)
  }
  if (out) made.forEach((bytes, i) => fs.writeFileSync(`${out}-${sizes[i]}.${format}`, bytes))
  const rss = process.resourceUsage().maxRSS
  console.log(JSON.stringify({ cpu, bytes: made.map(bytes => bytes.length), rss }))
}
