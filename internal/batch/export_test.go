package batch

// Buffered is how many bytes wait for their chunk to fill.
func (d *Draft) Buffered() int { return d.buffered }
