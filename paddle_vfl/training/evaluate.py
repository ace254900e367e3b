"""``paddle-vfl eval``."""

from . import checkpoints, configs, data_checks

__all__ = ["evaluate"]


def evaluate(config, options=(), classwise=False):
    """Evaluate ``weights`` of a config on its EvalDataset. Returns {metric name: results}.

    Raises:
        UserError: the config, the weights or the data are missing or wrong.
    """
    cfg = configs.load(config, options)
    cfg["classwise"] = classwise
    data_checks.check_dataset(cfg, "EvalDataset")
    configs.make_run_folder(cfg)
    trainer = checkpoints.trainer_with_weights(cfg, "eval")
    results = {}
    # PaddleDetection forgets the metrics once it has logged them
    for metric in trainer._metrics:
        metric.log = _then(metric.log, lambda metric=metric: results.update(metric.get_results()))
    trainer.evaluate()
    return results


def _then(function, after):
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        after()
        return result

    return wrapper
