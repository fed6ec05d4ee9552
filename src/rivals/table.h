// One line a rival: symbol, name, what it is (for --help and docs), hidden width, learning rate, weight decay, clip,
// dropout, batch, loss: as their authors trained them (docs/rivals.md has the sources).
#ifndef LEAD_RIVALS_TABLE_H
#define LEAD_RIVALS_TABLE_H

#define RIVAL_TABLE(X)                                                                                                \
    X(dlinear, "dlinear", "two linear maps of trend and rest", 0, 1e-3, 0, 0, 0, 32, MSE)                             \
    X(nlinear, "nlinear", "one linear map of the change since the last value", 0, 1e-3, 0, 0, 0, 32, MSE)             \
    X(stid, "stid", "MLP with embeddings of flow and time", 32, 2e-3, 1e-4, 0, 0, 32, MAE)                            \
    X(tsmixer, "tsmixer", "MLPs over time and over flows in turn", 256, 1e-3, 0, 0, 0.1, 32, MSE)                  \
    X(lstm, "lstm", "LSTM over each flow", 64, 1e-3, 0, 0, 0, 32, MSE)                                                \
    X(gru, "gru", "GRU over each flow", 64, 1e-3, 0, 0, 0, 32, MSE)                                                   \
    X(cfc, "cfc", "closed-form continuous-time (liquid) network over each flow", 64, 1e-3, 0, 0, 0, 32, MSE)          \
    X(convlstm, "convlstm", "LSTM of convolutions over the matrix", 32, 1e-3, 0, 0, 0, 32, MSE)                       \
    X(itransformer, "itransformer", "attention over flows, each a token", 512, 5e-4, 0, 0, 0.1, 16, MSE)              \
    X(patchtst, "patchtst", "attention over patches of each flow", 128, 1e-4, 0, 0, 0.2, 32, MSE)                     \
    X(sttn, "sttn", "attention over flows, then over time", 64, 1e-3, 0, 0, 0.1, 16, MAE)                             \
    X(gman, "gman", "attention over flows and over time, gated", 64, 1e-3, 0, 0, 0, 16, MAE)                    \
    X(mtgnn, "mtgnn", "learned graph of flows, gated convolutions over time", 32, 1e-3, 1e-4, 5, 0.3, 32, MAE)        \
    X(gwn, "gwn", "Graph WaveNet: learned graph, dilated convolutions", 32, 1e-3, 1e-4, 5, 0.3, 32, MAE)              \
    X(virtual_nodes, "virtual-nodes", "Graph WaveNet with a node for each row and column", 32, 1e-3, 1e-4, 5, 0.3,    \
      32, MAE)                                                                                                        \
    X(gram_ode, "gram-ode", "differential equation on a learned graph", 64, 2e-4, 0, 0, 0, 32, MAE)                   \
    X(mamnet, "mamnet", "selective state space (Mamba) and Fourier branch over each flow", 64, 1e-3, 0, 0, 0, 16,    \
      MSE)                                                                                                            \
    X(netllm, "netllm", "frozen GPT-2 with LoRA and a linear head", 0, 1e-4, 0, 0, 0, 32, MSE)

#endif
