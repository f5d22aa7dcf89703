// One step of the JS application on the shared tables: `node session.mjs STEP ACCOUNT`; prints what it read as JSON.
import { PrismaPg } from '@prisma/adapter-pg'
import client from './client/index.js'

const [step, id] = process.argv.slice(2)
const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL })
const prisma = new client.PrismaClient({ adapter })

const steps = {
  async create() {
    const user = await prisma.user.create({ data: { username: 'ada', passwordHash: 'x', status: 'APPROVED' } })
    return prisma.subAccount.create({
      data: {
        userId: user.id,
        name: 'ada one',
        initialBalance: 5000,
        currentBalance: 5000,
        riskRule: { create: { maxNotionalPerTrade: 1e7, maxTotalExposure: 1e8, maxLeverage: 20 } },
      },
      include: { riskRule: true },
    })
  },
  async read() {
    return prisma.subAccount.findUnique({
      where: { id },
      include: {
        positions: { where: { status: 'OPEN' }, include: { trades: true } },
        trades: { orderBy: { timestamp: 'desc' } },
        balanceLogs: { orderBy: { timestamp: 'desc' }, take: 10 },
        riskRule: true,
      },
    })
  },
  async administer() {
    return prisma.$transaction(async (tx) => {
      const account = await tx.subAccount.findUnique({ where: { id } })
      const change = 6000.25 - account.currentBalance
      await tx.balanceLog.create({
        data: {
          subAccountId: id,
          balanceBefore: account.currentBalance,
          balanceAfter: 6000.25,
          changeAmount: change,
          reason: 'ADMIN_SET',
        },
      })
      return tx.subAccount.update({ where: { id }, data: { currentBalance: 6000.25, status: 'FROZEN' } })
    })
  },
  async remove() {
    const where = { subAccountId: id }
    return prisma.$transaction([
      prisma.tradeExecution.deleteMany({ where }),
      prisma.balanceLog.deleteMany({ where }),
      prisma.virtualPosition.deleteMany({ where }),
      prisma.riskRule.deleteMany({ where }),
      prisma.subAccount.delete({ where: { id } }),
    ])
  },
}

console.log(JSON.stringify(await steps[step]()))
await prisma.$disconnect()
