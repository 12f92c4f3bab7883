package store

// These scripts are about single chunks: claiming them, keeping their results,
// handing them out again. batches_scripts.go says how a chunk is written.

// claimScript gives a chunk to a worker.
//
//	ARGV chunk, gen, lease in ms
//	returns {} lost | {fence, crashes, suspected, answers, question, indexes,
//	        rows of those that have no result, the batch}
var claimScript = batchScript(`
local state, status = current(ARGV[1], ARGV[2])
if not state or state.till ~= '0' then
  return {}
end
if status == 'paused' then
  again(state)
  keep(ARGV[1], state)
  return {}
end
local list, ids = indexes(state.items), {}
for i, index in ipairs(list) do
  local row = redis.call('HGET', rows, index)
  ids[i] = row and string.sub(row, 1, 1) == '-' and row or ''
end
state.fence = int(state.fence + 1)
state.till, state.suspect = int(now + ARGV[3]), '-'
keep(ARGV[1], state)
if status == 'queued' then
  redis.call('HSET', batch, 'status', 'running')
  redis.call('HINCRBY', batch, 'version', 1)
end
local kept = redis.call('HMGET', input, ARGV[1], state.question)
return {state.fence, state.crashes, state.suspected, kept[1] or '', kept[2] or '', list, ids, redis.call('HGETALL', batch)}
`)

// batchRenewScript makes a claim last another lease, and may note a suspect.
//
//	ARGV chunk, gen, fence, lease in ms or "", suspect or ""
//	returns 1, or 0 lost
var batchRenewScript = batchScript(`
local state = held(ARGV[1], ARGV[2], ARGV[3])
if not state then
  return 0
end
if ARGV[4] ~= '' then
  state.till = int(now + ARGV[4])
end
if ARGV[5] ~= '' then
  state.suspect = ARGV[5]
end
keep(ARGV[1], state)
return 1
`)

// completeScript keeps results, counts them, and may give the claim up.
//
//	ARGV chunk, gen, fence, 1 when done, retention in ms,
//	     then of each result: index, its row while pending, its row from now on,
//	     the counter of its end, cached, mixed, and twice (spent, saved):
//	     calls, prompt, cached and completion tokens, dollars or "", 1 when
//	     the dollars are not known
//	returns {} lost | {foreign, index} | {gen to enqueue or 0, 1 when finished, the batch}
var completeScript = batchScript(`
local state = held(ARGV[1], ARGV[2], ARGV[3])
if not state then
  return {}
end
local ours, fresh, sums = {}, {}, {}
for _, index in ipairs(indexes(state.items)) do
  ours[index] = true
end
for i = 6, #ARGV, 18 do
  local index = ARGV[i]
  local row = redis.call('HGET', rows, index)
  if not ours[index] or not row then
    return {'foreign', index}
  end
  if string.sub(row, 1, 1) == '-' then
    if row ~= ARGV[i + 1] then
      return {'foreign', index}
    end
    fresh[#fresh + 1] = i
  end
end
local function add(name, n)
  if tonumber(n) ~= 0 then
    sums[name] = (sums[name] or 0) + tonumber(n)
  end
end
local kept = {}
for _, i in ipairs(fresh) do
  if not kept[ARGV[i]] then
    kept[ARGV[i]] = true
    redis.call('HSET', rows, ARGV[i], ARGV[i + 2])
    add(ARGV[i + 3], 1)
    add('cached', ARGV[i + 4])
    if ARGV[i + 5] == '1' then
      redis.call('HSET', batch, 'mixed', '1')
    end
    for j, name in ipairs({'spent', 'saved'}) do
      local at = i + 6 * j
      add(name .. '_calls', ARGV[at])
      add(name .. '_prompt', ARGV[at + 1])
      add(name .. '_cached', ARGV[at + 2])
      add(name .. '_completion', ARGV[at + 3])
      if ARGV[at + 4] ~= '' then
        redis.call('HINCRBYFLOAT', batch, name .. '_cost', ARGV[at + 4])
      end
      add(name .. '_unpriced', ARGV[at + 5])
    end
    state.left = int(state.left - 1)
  end
end
for name, n in pairs(sums) do
  redis.call('HINCRBY', batch, name, int(n))
end
local gen = '0'
if ARGV[4] == '1' and state.left == '0' then
  redis.call('HDEL', chunks, ARGV[1])
  redis.call('HDEL', input, ARGV[1])
else
  if ARGV[4] == '1' then
    again(state)
    gen = state.gen
  end
  keep(ARGV[1], state)
end
local finished = pending() <= 0
if finished then
  over('completed', ARGV[5])
elseif next(kept) then
  redis.call('HINCRBY', batch, 'version', 1)
end
return {gen, finished and 1 or 0, redis.call('HGETALL', batch)}
`)

// enqueuedScript notes that chunks were given to the queue just now.
//
//	ARGV chunk and gen of each
var enqueuedScript = batchScript(`
for i = 1, #ARGV, 2 do
  local state = current(ARGV[i], ARGV[i + 1])
  if state then
    state.queued = int(now)
    keep(ARGV[i], state)
  end
end
return 0
`)

// reclaimScript takes a chunk from a worker that died, or from the queue.
//
//	ARGV chunk, gen
//	returns the gen to enqueue, or 0 lost
var reclaimScript = batchScript(`
local state = current(ARGV[1], ARGV[2])
if not state or tonumber(state.till) > now then
  return '0'
end
if state.till ~= '0' and state.suspect ~= '-' then
  local counts, found = {}, false
  for index, n in string.gmatch(state.suspected, '(%d+):(%d+)') do
    if index == state.suspect then
      n, found = int(n + 1), true
    end
    counts[#counts + 1] = index .. ':' .. n
  end
  if not found then
    counts[#counts + 1] = state.suspect .. ':1'
  end
  state.suspected = table.concat(counts, ',')
elseif state.till ~= '0' then
  state.crashes = int(state.crashes + 1)
end
again(state)
keep(ARGV[1], state)
return state.gen
`)
