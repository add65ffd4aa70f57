// express + multer: the api.
import { randomUUID } from 'node:crypto'
import amqplib from 'amqplib'
import express from 'express'
import multer from 'multer'
import pg from 'pg'

const { STACK_AMQP, STACK_POSTGRES, STACK_FOLDER, STACK_PORT } = process.env
const queue = 'express_stack'
const records = new pg.Pool({ connectionString: STACK_POSTGRES, max: 8 })
const channel = await (await amqplib.connect(STACK_AMQP)).createConfirmChannel()
await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
const confirmed = message => new Promise((resolve, reject) =>
  channel.sendToQueue(queue, Buffer.from(message), { persistent: true }, error => error ? reject(error) : resolve()))

const staging = multer.diskStorage({
  destination: `${STACK_FOLDER}/staging`,
  filename: (request, file, done) => done(null, randomUUID())
})
const app = express()
app.disable('etag').disable('x-powered-by')
app.post('/pictures', multer({ storage: staging }).single('Profile'), async (request, response) => {
  const id = request.file.filename
  await records.query({ name: 'insert', text: "INSERT INTO uploads (id, state) VALUES ($1, 'accepted')", values: [id] })
  await confirmed(id)
  response.status(202).json({ id })
})
app.listen(Number(STACK_PORT), '127.0.0.1')
