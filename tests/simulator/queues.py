"""The queues of the captures, for a simulator."""

from pbxapi.simulator import MemberConfig, QueueConfig


def lab_queues(technology: str) -> tuple[QueueConfig, ...]:
    """`FrontaIT`, `FrontaObchod` and `FrontaPrazdna`, at 500 and on."""
    return (
        QueueConfig(
            name="FrontaIT",
            exten="500",
            timeout_s=8,
            wrapuptime_s=3,
            servicelevel_s=20,
            members=(
                MemberConfig(
                    interface="Local/1000@extensions-dialplanid-1",
                    name="Jan Novák",
                    state_interface=f"{technology}/Linka_1000",
                ),
                MemberConfig(
                    interface="Local/1001@extensions-dialplanid-1",
                    name="Žofie Černá",
                    state_interface=f"{technology}/Linka_1001",
                    penalty=1,
                ),
            ),
        ),
        QueueConfig(
            name="FrontaObchod",
            exten="501",
            strategy="ringall",
            timeout_s=8,
            weight=5,
            servicelevel_s=30,
            members=(MemberConfig(interface=f"{technology}/Linka_1002", name="Petr Svoboda"),),
        ),
        QueueConfig(
            name="FrontaPrazdna",
            exten="502",
            strategy="leastrecent",
            timeout_s=5,
            max_wait_s=10,
            ring_in_use=True,
        ),
    )
