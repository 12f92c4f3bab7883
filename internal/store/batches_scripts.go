package store

import "github.com/redis/go-redis/v9"

// Every script on batches takes the keys of keyspace.batch and begins with this.
// Redis keeps the time, so that no two processes differ about a lease.
//
// A chunk that is not done is a line of words in the hash of chunks:
//
//	gen fence left crashes till queued suspect suspected question items
//
// gen is the current handing out, fence counts claims, left the items without a
// result, crashes the workers that died over it. till is when the lease ends
// and queued when it was given to the queue, in Unix milliseconds, 0 for not.
// suspect is an index or "-"; suspected is "INDEX:CRASHES,…" or "-"; question
// names a field of the input; items are indexes as "0-15" or "1,5,9", or "-".
//
// A row that begins with "-" is the id of an item without a result.
//
// Whatever can be refused is refused before the first write: Redis does not
// undo what a script did before it failed.
const batchPrelude = `
local batch, chunks, input, rows, active, notices = unpack(KEYS)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local words = {'gen', 'fence', 'left', 'crashes', 'till', 'queued', 'suspect', 'suspected', 'question', 'items'}

local function int(n)
  return string.format('%.0f', n)
end

local function chunk(n)
  local text = redis.call('HGET', chunks, n)
  local state, i = {}, 0
  for word in string.gmatch(text or '', '%S+') do
    i = i + 1
    state[words[i] or 'more'] = word
  end
  if i ~= #words then
    return nil
  end
  return state
end

local function keep(n, state)
  local line = {}
  for i, word in ipairs(words) do
    line[i] = state[word]
  end
  redis.call('HSET', chunks, n, table.concat(line, ' '))
end

local function current(n, gen)
  local status = redis.call('HGET', batch, 'status')
  if not status or status == 'completed' or status == 'cancelled' then
    return nil
  end
  local state = chunk(n)
  if not state or state.gen ~= gen then
    return nil
  end
  return state, status
end

local function held(n, gen, fence)
  local state = current(n, gen)
  if not state or state.till == '0' or state.fence ~= fence then
    return nil
  end
  return state
end

local function again(state)
  state.gen = int(state.gen + 1)
  state.till, state.queued, state.suspect = '0', '0', '-'
end

local function indexes(items)
  local list = {}
  for part in string.gmatch(items, '[^,]+') do
    local first, last = string.match(part, '^(%d+)-(%d+)$')
    for i = tonumber(first or part) or 0, tonumber(last or part) or -1 do
      list[#list + 1] = int(i)
    end
  end
  return list
end

local function pending()
  local kept = redis.call('HMGET', batch, 'total', 'graded', 'needs_review', 'failed', 'cancelled')
  return kept[1] - kept[2] - kept[3] - kept[4] - kept[5]
end

local function over(status, retention)
  redis.call('HSET', batch, 'status', status, 'reason', '', 'finished', int(now))
  redis.call('HINCRBY', batch, 'version', 1)
  local kept = redis.call('HMGET', batch, 'member', 'notice')
  redis.call('ZREM', active, kept[1])
  if kept[2] == '1' then
    redis.call('ZADD', notices, int(now), kept[1])
  end
  redis.call('UNLINK', chunks, input)
  redis.call('PEXPIRE', batch, retention)
  redis.call('PEXPIRE', rows, retention)
end
`

func batchScript(body string) *redis.Script { return redis.NewScript(batchPrelude + body) }

// stageScript keeps a chunk of a batch that does not exist yet.
//
//	ARGV chunk, line, its answers, field of its question, its question, ms to live,
//	     then index and row of each item
//	returns 1 kept, 0 the batch was committed
var stageScript = batchScript(`
if redis.call('EXISTS', batch) == 1 then
  return 0
end
local before = chunk(ARGV[1])
if before then
  for _, index in ipairs(indexes(before.items)) do
    redis.call('HDEL', rows, index)
  end
end
for i = 7, #ARGV, 2 do
  redis.call('HSET', rows, ARGV[i], ARGV[i + 1])
end
redis.call('HSET', chunks, ARGV[1], ARGV[2])
redis.call('HSET', input, ARGV[1], ARGV[3], ARGV[4], ARGV[5])
for _, key in ipairs({chunks, input, rows}) do
  redis.call('PEXPIRE', key, ARGV[6])
end
return 1
`)

// batchCommitScript makes a staged batch visible. A batch that is there already
// is one whose reply was lost.
//
//	KEYS … and the submission
//	ARGV chunks, total, token of the submission or "", its fingerprint, the
//	     batch's id, ms that the submission is remembered, then fields and values
//	     of the batch
//	returns {ok} | {used, fingerprint, id} | {busy} | {chunk, which is missing} | {items, that there are}
var batchCommitScript = batchScript(`
local submission, token = KEYS[7], ARGV[3]
if redis.call('EXISTS', batch) == 1 then
  return {'ok'}
end
if token ~= '' then
  local kept = redis.call('HMGET', submission, 'token', 'batch', 'fingerprint')
  if kept[2] then
    redis.call('UNLINK', chunks, input, rows)
    return {'used', kept[3], kept[2]}
  end
  if kept[1] and kept[1] ~= token then
    return {'busy'}
  end
end
for i = 0, ARGV[1] - 1 do
  if redis.call('HEXISTS', chunks, int(i)) == 0 or redis.call('HEXISTS', input, int(i)) == 0 then
    return {'chunk', int(i)}
  end
end
local items = redis.call('HLEN', rows)
if items ~= tonumber(ARGV[2]) or redis.call('HLEN', chunks) ~= tonumber(ARGV[1]) then
  return {'items', int(items)}
end
if token ~= '' then
  redis.call('DEL', submission)
  redis.call('HSET', submission, 'batch', ARGV[5], 'fingerprint', ARGV[4])
  redis.call('PEXPIRE', submission, ARGV[6])
  redis.call('HSET', batch, 'submission', submission)
end
redis.call('HSET', batch, 'created', int(now), 'version', 1, unpack(ARGV, 7))
redis.call('ZADD', active, string.format('%.0f', clock[1] * 1000000 + clock[2]), redis.call('HGET', batch, 'member'))
for _, key in ipairs({chunks, input, rows}) do
  redis.call('PERSIST', key)
end
return {'ok'}
`)

// discardScript erases what was staged, and nothing of a batch.
var discardScript = batchScript(`
if redis.call('EXISTS', batch) == 0 then
  redis.call('UNLINK', chunks, input, rows)
end
return 0
`)

// cancelScript ends a batch.
//
//	ARGV retention in ms
//	returns the batch, empty when there is none
var cancelScript = batchScript(`
local status = redis.call('HGET', batch, 'status')
if status and status ~= 'completed' and status ~= 'cancelled' then
  redis.call('HINCRBY', batch, 'cancelled', pending())
  over('cancelled', ARGV[1])
end
return redis.call('HGETALL', batch)
`)

// purgeScript erases a batch that is over. UNLINK leaves the work to another
// thread of Redis.
//
//	ARGV id
//	returns 1 erased, 0 no such batch, -1 not over
var purgeScript = batchScript(`
local kept = redis.call('HMGET', batch, 'status', 'member', 'submission')
if not kept[1] then
  return 0
end
if kept[1] ~= 'completed' and kept[1] ~= 'cancelled' then
  return -1
end
if kept[3] and redis.call('HGET', kept[3], 'batch') == ARGV[1] then
  redis.call('DEL', kept[3])
end
redis.call('ZREM', active, kept[2])
redis.call('ZREM', notices, kept[2])
redis.call('UNLINK', batch, chunks, input, rows)
return 1
`)

// pauseScript makes a batch wait, or go on.
//
//	ARGV 1 to pause or 0 to resume, reason
//	returns 1, or 0 when there is no such batch
var pauseScript = batchScript(`
local status = redis.call('HGET', batch, 'status')
if not status then
  return 0
end
if ARGV[1] == '1' and (status == 'queued' or status == 'running') then
  redis.call('HSET', batch, 'status', 'paused', 'reason', ARGV[2])
  redis.call('HINCRBY', batch, 'version', 1)
elseif ARGV[1] == '0' and status == 'paused' then
  redis.call('HSET', batch, 'status', 'running', 'reason', '')
  redis.call('HINCRBY', batch, 'version', 1)
end
return 1
`)

// reserveScript claims an idempotency key.
//
//	KEYS submission
//	ARGV token, ms that the claim lasts
//	returns {ok} | {busy} | {used, fingerprint, batch}
var reserveScript = redis.NewScript(`
local kept = redis.call('HMGET', KEYS[1], 'token', 'batch', 'fingerprint')
if kept[2] then
  return {'used', kept[3], kept[2]}
end
if kept[1] and kept[1] ~= ARGV[1] then
  return {'busy'}
end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'ok'}
`)

// unreserveScript gives the claim on an idempotency key up.
//
//	KEYS submission
//	ARGV token
var unreserveScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 0
`)

// leadScript makes a process the leader, unless another is.
//
//	KEYS lead
//	ARGV process, lease in ms
//	returns 1 or 0
var leadScript = redis.NewScript(`
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)
