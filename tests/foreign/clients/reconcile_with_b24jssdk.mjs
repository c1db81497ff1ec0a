// The natural reconcile with b24jssdk: `callList` and `fetchList` (a page a request, by ID), then `batchByChunk`.
// Started with the webhook's address, which must be HTTPS; the certificate to trust is in NODE_EXTRA_CA_CERTS.
import { B24Hook } from '@bitrix24/b24jssdk'

const portal = B24Hook.fromWebhookUrl(process.argv[2])
const { callList, fetchList, batchByChunk } = portal.actions.v2

function dataOf (answer) {
  if (!answer.isSuccess) {
    throw new Error(answer.getErrorMessages().join('; '))
  }
  return answer.getData()
}

async function fetched (method, select) {
  const rows = []
  for await (const page of fetchList.make({ method, params: { select }, idKey: 'ID' })) {
    rows.push(...page)
  }
  return rows
}

const ids = rows => rows.map(row => Number(row.ID))
const companyFields = ['ID', 'ASSIGNED_BY_ID']
const contactFields = ['ID', 'COMPANY_ID', 'ASSIGNED_BY_ID']
const companies = dataOf(
  await callList.make({ method: 'crm.company.list', params: { select: companyFields }, idKey: 'ID' })
)
const contacts = dataOf(
  await callList.make({ method: 'crm.contact.list', params: { select: contactFields }, idKey: 'ID' })
)
const read = {
  callList: { companies: ids(companies), contacts: ids(contacts) },
  fetchList: {
    companies: ids(await fetched('crm.company.list', companyFields)),
    contacts: ids(await fetched('crm.contact.list', contactFields))
  }
}
const owners = new Map(companies.map(company => [company.ID, company.ASSIGNED_BY_ID]))
const calls = contacts
  .filter(contact => owners.has(contact.COMPANY_ID) && owners.get(contact.COMPANY_ID) !== contact.ASSIGNED_BY_ID)
  .map(contact => [
    'crm.contact.update',
    { id: contact.ID, fields: { ASSIGNED_BY_ID: owners.get(contact.COMPANY_ID) } }
  ])
const answers = dataOf(await batchByChunk.make({ calls, options: { isHaltOnError: false } }))
const succeeded = answers.filter(answer => answer === true).length
console.log(JSON.stringify({ read, updates: calls.length, succeeded }))
portal.destroy()
