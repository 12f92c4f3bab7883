package judge

// Plus is the cost of both together. What it cost in dollars is known when it
// is known of each that asked somebody; what asked nobody is free.
func (u Usage) Plus(v Usage) Usage {
	sum := Usage{
		Calls:            u.Calls + v.Calls,
		PromptTokens:     u.PromptTokens + v.PromptTokens,
		CachedTokens:     u.CachedTokens + v.CachedTokens,
		CompletionTokens: u.CompletionTokens + v.CompletionTokens,
	}
	total, known := 0.0, false
	for _, part := range []Usage{u, v} {
		switch {
		case part.CostUSD != nil:
			total, known = total+*part.CostUSD, true
		case part.Calls > 0:
			return sum
		}
	}
	if known {
		sum.CostUSD = &total
	}
	return sum
}
