// express + amqplib: the worker. It makes the sizes with sharp, from one decode that is shrunk while loading.
import { link, unlink } from 'node:fs/promises'
import amqplib from 'amqplib'
import pg from 'pg'
import sharp from 'sharp'

const { STACK_AMQP, STACK_POSTGRES, STACK_FOLDER } = process.env
const queue = 'express_stack'
const sizes = [512, 75, 25]
sharp.cache(false)
sharp.concurrency(1)
const records = new pg.Client({ connectionString: STACK_POSTGRES })
await records.connect()
const channel = await (await amqplib.connect(STACK_AMQP)).createChannel()
await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
await channel.prefetch(1)

async function work (id) {
  const staged = `${STACK_FOLDER}/staging/${id}`
  const blob = `${STACK_FOLDER}/blobs/${id}`
  // The size 512 is made from the file, and every output from the raw pixels of that size.
  const { data, info } = await sharp(staged).rotate().resize(512, 512).flatten({ background: '#fff' }).raw()
    .toBuffer({ resolveWithObject: true })
  const raw = { raw: { width: info.width, height: info.height, channels: info.channels } }
  for (const size of sizes) await sharp(data, raw).resize(size, size).jpeg({ quality: 80 }).toFile(`${blob}.${size}.jpg`)
  // If the message was delivered twice, the blob is there already.
  await link(staged, blob).catch(error => { if (error.code !== 'EEXIST') throw error })
  await records.query({ name: 'ready', text: "UPDATE uploads SET state = 'ready' WHERE id = $1", values: [id] })
  await unlink(staged)
}

await channel.consume(queue, async message => {
  await work(message.content.toString())
  channel.ack(message)
})
