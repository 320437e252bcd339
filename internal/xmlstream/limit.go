package xmlstream

// Limit bounds the stanzas that are sent from now on to n bytes where that is less than WriterConfig.MaxSize; 0 takes the bound away.
func (w *Writer) Limit(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := w.cfg.MaxSize
	if n > 0 {
		size = min(size, n)
	}
	w.enc.SetLimits(size, w.cfg.MaxDepth)
}
