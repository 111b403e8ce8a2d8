"""What several networks share: linear maps that are projected before they sample, and losses.

Sampling along proposals is `boundary_matching` (BMN), `align` (G-TAD) and `proposal_features`
(DBG), over the `sparse_rows` of one matrix; `proposal_map` convolves the map of proposals and
`proposals` reads targets and detections from it. `gcnext` is G-TAD's graph convolution.
`runs` reads detections from the probabilities of steps, whose targets and losses are in
`step_losses`. `masking` keeps steps without video zero and brings features to one scale,
`network_ends` checks what a network is given and makes probabilities, `any_length` runs modules of
fixed length on others, `relu_dropout` saves memory.
Losses: `balanced_loss` for boundaries, `weak_losses` for video labels.
"""
